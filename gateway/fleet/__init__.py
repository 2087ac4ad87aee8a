"""All hosts and what is known of them."""

from gateway.fleet.fleet import DEMO, Fleet
from gateway.fleet.host import Host, View

__all__ = ["DEMO", "Fleet", "Host", "View"]
