"""What people would pick otherwise, a short file each, run by interpreters that do not have Townpost's packages.

An adapter has two functions: ``work`` handles messages until it is killed and calls ``done`` with the number of
each; ``publish`` sends batches of documents. `role.play` makes a command of them. The registry says what there is.
"""
