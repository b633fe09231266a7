"""The project: settings, URLs, processes. It knows every package; no package imports it."""
