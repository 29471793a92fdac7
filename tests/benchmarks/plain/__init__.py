"""The toolkit's work done in the plain way: readable, correct, and close to the released code of the field.

It has three whole ResNets, float32 in NCHW memory, PIL transforms in four loader workers, loops over anchors and queries, a
gallery embedded again for every draw, and images prepared one after the other. ``test_plain.py`` checks that its
results equal the toolkit's; the benchmarks compare the speed of both.
"""
