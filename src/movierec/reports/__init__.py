"""Reports and charts as HTML and SVG text."""
