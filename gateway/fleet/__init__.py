"""All hosts and what is known of them."""

from gateway.fleet.fleet import Fleet
from gateway.fleet.host import Host, View

__all__ = ["Fleet", "Host", "View"]
