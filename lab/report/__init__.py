"""The matrix of the fault lab, for a terminal, a program, a document and the eye."""
