"""The version, as a plain constant: reading it costs nothing, installed or not."""

VERSION = "0.1.0"
