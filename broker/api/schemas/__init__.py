"""What goes over the wire. Bodies are strict and refuse unknown members; replies have no defaults."""
