"""What the API process can be told; every value has a default that suits one small site."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ApiConfig:
    """Limits and intervals of the API.

    Attributes:
        request_threads: service calls that run at the same time for requests.
        background_threads: service calls for long polls, waits, streams and upkeep, kept apart
            so that neither can starve the other.
        body_limit: bytes of a request's body, 413 above it.
        report_limit: the same for link reports, which may carry thousands of links.
        header_limit: bytes of a request's head, 431 above it.
        rate_per_s: requests a second that one token may make in the long run.
        rate_burst: requests that one token may make at once.
        token_cache_s: seconds that an authenticated token is believed while the database does
            not answer. Else tokens in use are looked up in every round of upkeep; a revocation by
            this process takes effect at once.
        poll_s: seconds between looks at the database when no wake-up arrives.
        keep_alive_s: seconds between comments on an idle event stream.
        maintain_s: seconds between rounds of upkeep: report times, liveness, pruning.
        processed_age_s: the southbound is taken for stuck when it has said nothing this long.
        max_streams: event streams open at the same time.
        max_streams_of_tenant: of these, by all tokens of one tenant.
        head_s: seconds in which a request's head must have come, from its first byte, or from the
            connection's begin for the first one; also how long the rest of an answered request may
            take, and how long a client may leave its answers unread.
        max_polls: long polls open at the same time.
    """

    request_threads: int = 16
    background_threads: int = 4
    body_limit: int = 1 << 20
    report_limit: int = 8 << 20
    header_limit: int = 32 << 10
    rate_per_s: float = 2000.0
    rate_burst: float = 4000.0
    token_cache_s: float = 3.0
    poll_s: float = 1.0
    keep_alive_s: float = 15.0
    maintain_s: float = 1.0
    processed_age_s: float = 15.0
    max_streams: int = 1000
    max_streams_of_tenant: int = 100
    head_s: float = 30.0
    max_polls: int = 10_000
