"""Learning by Aligning (ICCV 2021): visible-infrared person re-identification, from data to figures.

The floors of the house, each importing only from those below it::

    cli
    training   visualize
    evaluation   export
    data   model   config
    alignment   reporting   errors   files
"""

__version__ = "0.2.0"
