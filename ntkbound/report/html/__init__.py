"""A report page: one HTML file with figures, tables, style and script in it, and no network.

`material.Material` is what was judged; `page` the model of a page, made of plain data by one module
a group of sections; `write` turns it into the file.
"""
