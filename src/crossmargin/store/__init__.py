"""The journal of commands on disk, snapshots, and replay."""
