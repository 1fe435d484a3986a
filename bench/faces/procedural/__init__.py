"""The embedded people, drawn by a procedure."""

VERSION = 1  # part of the key of the drawn faces: raise it with any change of the pictures
