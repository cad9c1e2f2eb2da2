"""The connectors that ship with kpiengine, loaded through the same entry points as anyone's."""
