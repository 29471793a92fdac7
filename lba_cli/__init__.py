"""Learning by Aligning (ICCV 2021): visible-infrared person re-identification, from data to figures.

The packages by floor. A package imports only from the floors below its own::

    cli
    training   visualize
    search
    evaluation   export
    config
    datasets   methods
    data   model   synthetic
    compute   alignment
    files, outputs, locks and other single modules
"""

__version__ = "0.2.0"
