"""The same work as the product does, in the plain way: readable, correct, and as the field's released code goes about it.

Three whole ResNets, float32 in NCHW memory, PIL transforms in four loader workers, loops over anchors and queries, galleries
embedded again for every trial, images prepared one after the other into a list. ``test_plain.py`` holds that its results are
the product's; the benchmarks measure the product against it.
"""
