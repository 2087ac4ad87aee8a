"""What the command line can be told to do: a module for each command."""
