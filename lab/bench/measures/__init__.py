"""One module a group of figures; each has `measure`, which is given the ground, the field and the extent."""
