"""The proof of arXiv 2601.16514 put to the test link by link: what holds, and what each link loses.

``replay`` trains a run again and measures it (``run``), chooses the ``constants``, asserts every
equality and inequality of the chain at every audited step (``links``), and splits bound/measured
into one factor per link (``decomposition``). What it teaches: docs/audit.md.
"""
