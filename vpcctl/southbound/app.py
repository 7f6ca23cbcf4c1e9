"""The os-ken application: which switches come and go, by os-ken's own events."""

from typing import Any, Protocol

from vpcctl.southbound.codec import messages as m
from vpcctl.southbound.transport.connection import Datapath
from vpcctl.southbound.transport.hub import app_manager, handler, ofp_event, ofp_handler

events: Any = ofp_event  # os-ken makes the classes when it is imported
_BRICKS = ("vpcctl", "ofp_event")


class Switches(Protocol):
    """Who wants to know about switches."""

    def on_up(self, datapath: Datapath) -> None:
        """A switch has finished its handshake."""
        ...

    def on_down(self, datapath: Datapath) -> None:
        """A switch that had finished its handshake is gone."""
        ...


class Handshake(ofp_handler.OFPHandler):  # type: ignore[misc]
    """os-ken's own handshake, without the listener that it would open and without ports."""

    def start(self) -> Any:
        """Start nothing: the transport has its own listeners and loop."""

    @handler.set_ev_handler(events.EventOFPSwitchFeatures, handler.CONFIG_DISPATCHER)
    def switch_features_handler(self, ev: Any) -> None:
        """Finish the handshake; os-ken would ask for all ports first, which nobody reads."""
        ev.msg.datapath.id = ev.msg.datapath_id
        ev.msg.datapath.set_state(handler.MAIN_DISPATCHER)


class SouthboundApp(app_manager.OSKenApp):  # type: ignore[misc]
    """Hands switches to the engine. Its handlers run in the event loop, as all that they call."""

    OFP_VERSIONS = (m.VERSION,)

    def __init__(self, switches: Switches) -> None:
        super().__init__()
        self.name = _BRICKS[0]
        self._switches = switches
        self._up: set[Datapath] = set()

    def _send_event(self, ev: Any, state: str | None) -> None:
        """Call the handlers here and now: no queue that could grow, no thread to wait for."""
        for handle in list(self.get_handlers(ev, state)):
            handle(ev)

    @handler.set_ev_cls(
        events.EventOFPStateChange, [handler.MAIN_DISPATCHER, handler.DEAD_DISPATCHER]
    )
    def on_state_change(self, ev: Any) -> None:
        """Tell the engine about a switch that is ready, or gone."""
        datapath: Datapath = ev.datapath
        if ev.state == handler.MAIN_DISPATCHER:
            self._up.add(datapath)
            self._switches.on_up(datapath)
        elif datapath in self._up:
            self._up.discard(datapath)
            self._switches.on_down(datapath)


def start_apps(switches: Switches) -> SouthboundApp:
    """Register handshake and application with os-ken, and return the application."""
    manager = app_manager.AppManager.get_instance()
    manager.instantiate(Handshake)
    return manager.instantiate(SouthboundApp, switches)


def stop_apps() -> None:
    """Take both out again."""
    manager = app_manager.AppManager.get_instance()
    for name in _BRICKS:
        if name in manager.applications:
            manager.uninstantiate(name)
