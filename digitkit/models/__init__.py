"""An exported model: its contract, its session, the ones that ship, its evaluation."""
