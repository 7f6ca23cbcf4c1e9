"""How much is measured: the full plan and the quick one."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Plan:
    """Sizes and numbers of samples.

    Attributes:
        cases: cases that are run unless others are asked for; None means all.
        sizes: numbers of mass ports, ascending; the network grows from one to the next.
        samples: samples of a case at one size and variant.
        minimum: samples that are taken however long they take.
        budget_s: seconds after which a case stops sampling once it has the minimum.
        light_sizes: sizes at which only what costs CPU or memory is measured, and restarts.
        cold_samples: samples of moves to a host new to the VPC.
        restart_sizes: sizes at which control planes are restarted.
        restart_samples: samples of each restart.
        cold_start_sizes: sizes at which a host is loaded from nothing.
        cold_start_samples: samples of each load.
        dataplane_size: size at which forwarding is measured.
        dataplane_rounds: rounds of forwarding over all systems, however long they take: many short
            ones, because the machine's moods last longer than what is to be told apart.
        dataplane_seconds: seconds of one throughput measurement.
        one_host: also measure forwarding between two guests of one host.
        group_members: members of the large security group, from this size on.
        group_scale_samples: how often that group gets its rules.
        group_scale_sizes: sizes at which it does.
        guest_sizes: numbers of ports on the host whose guests ask, ascending.
        guest_rounds: rounds of questions at each.
        guest_seconds: how long is asked at a time.
        eip_sizes: sizes at which EIPs come and go; None means those at which ports do.
        failover_samples: how often the active gateway host is killed.
        simulated_hosts: number of simulated hosts.
        simulated_ports: number of ports on them.
        simulated_changes: one-port changes measured on them.
        eip_hosts: number of simulated hosts that reach an external network.
        eip_counts: numbers of EIPs on them, ascending.
        eip_changes: associations measured with each.
    """

    cases: tuple[str, ...] | None = None
    sizes: tuple[int, ...] = (0, 100, 1_000, 5_000, 10_000, 20_000)
    samples: int = 8
    minimum: int = 3
    budget_s: float = 20.0
    light_sizes: tuple[int, ...] = (5_000, 10_000)
    cold_samples: int = 4
    restart_sizes: tuple[int, ...] = (1_000, 10_000)
    restart_samples: int = 3
    cold_start_sizes: tuple[int, ...] = (5_000, 20_000)
    cold_start_samples: int = 3
    dataplane_size: int = 100
    dataplane_rounds: int = 8
    dataplane_seconds: float = 1.0
    one_host: bool = True
    group_members: int = 1_000
    group_scale_samples: int = 3
    group_scale_sizes: tuple[int, ...] = (1_000, 10_000)
    guest_sizes: tuple[int, ...] = (50, 500)
    guest_rounds: int = 5
    guest_seconds: float = 2.0
    eip_sizes: tuple[int, ...] | None = None
    failover_samples: int = 4
    simulated_hosts: int = 1_000
    simulated_ports: int = 100_000
    simulated_changes: int = 100
    eip_hosts: int = 100
    eip_counts: tuple[int, ...] = (10, 10_000)
    eip_changes: int = 50


FULL = Plan()
QUICK = Plan(
    cases=(
        *("attach", "plug", "move", "add_one", "restart", "cold_start"),
        *("dataplane", "simulated"),
    ),
    sizes=(100, 1_000),
    samples=4,
    minimum=2,
    budget_s=2.0,
    cold_samples=1,
    restart_sizes=(1_000,),
    restart_samples=1,
    cold_start_sizes=(1_000,),
    cold_start_samples=1,
    dataplane_rounds=1,
    dataplane_seconds=0.5,
    one_host=False,
    group_members=100,
    group_scale_samples=1,
    group_scale_sizes=(100,),
    guest_rounds=2,
    guest_seconds=1.0,
    eip_sizes=(100,),
    failover_samples=1,
    simulated_hosts=50,
    simulated_ports=2_000,
    simulated_changes=10,
    eip_hosts=20,
    eip_counts=(10, 200),
    eip_changes=5,
)
