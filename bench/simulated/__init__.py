"""Many hosts in one process: real OpenFlow and real HTTP over TLS, no Open vSwitch behind them."""
