from hypothesis import given
from hypothesis import strategies as st

from vpcctl.services.claims import Claim, dispute, elect, judge

HOSTS = ["host-a", "host-b", "host-c"]
CLAIMS = st.lists(
    st.builds(
        Claim,
        host_id=st.sampled_from(HOSTS),
        revision=st.integers(1, 50),
        ofport=st.one_of(st.none(), st.integers(1, 9), st.just(32768)),
    ),
    unique_by=(lambda claim: claim.host_id, lambda claim: claim.revision),
    max_size=3,
)
ALLOWED = st.one_of(st.none(), st.sampled_from(HOSTS))


@given(claims=CLAIMS, only=ALLOWED)
def test_the_winner_is_the_newest_that_may_and_can(claims: list[Claim], only: str | None) -> None:
    winner = elect(claims, only)
    able = [c for c in claims if (c.ofport or 99_999) <= 32767 and only in (None, c.host_id)]
    if not able:
        assert winner is None
        return
    assert winner in able
    assert all(winner.revision >= claim.revision for claim in able)


@given(claims=CLAIMS, only=ALLOWED, data=st.data())
def test_the_order_of_claims_does_not_matter(claims, only, data) -> None:
    shuffled = data.draw(st.permutations(claims))
    assert elect(shuffled, only) == elect(claims, only)
    assert dispute(shuffled, only) == dispute(claims, only)


@given(claims=CLAIMS, only=ALLOWED)
def test_every_claim_is_judged_and_one_at_most_wins(claims, only) -> None:
    winner = elect(claims, only)
    states = [judge(claim, winner, only) for claim in claims]
    assert states.count("won") == (winner is not None)
    assert (dispute(claims, only) is not None) == bool({"lost", "refused"} & set(states))
