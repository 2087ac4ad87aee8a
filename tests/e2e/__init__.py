"""OpenAI's SDK against a gateway that serves, in front of simulated hosts, all on real sockets."""
