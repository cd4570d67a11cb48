"""Reports as data, HTML, Markdown and JSON."""
