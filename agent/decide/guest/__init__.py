"""What guests ask of their network, and the answers: pure, one module a protocol.

A frame comes in with the asking port's key (``frames``), belongs to a guest of the book
(``book``), and is answered by the protocol that it speaks (``answering``), or refused for a reason
that is counted. Nothing here keeps anything: the answer depends on the book and the question.
"""
