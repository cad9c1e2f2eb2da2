"""Engines beside the embedded one, one module each, loaded through the same entry points as anyone's."""
