"""Tools that look at modules before anything runs: compile cache, inspection, stubs and guest bindings."""
