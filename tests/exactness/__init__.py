"""Numbers of small fits that must not move: those of commit 279495c.

Every recipe and every estimator that existed at that commit is fitted once in each of its ways, and
what comes out is compared with what came out then (``279495c.json``): how many parameters there
are, sum and norm of each tensor of them, scores of eight rows, draws, and the end of the history.
Where kernels round as they did at the recording they agree to 1e-6. Elsewhere scores and losses
agree to 1e-3 (in a few fits, which follow rounding, to 0.1), and of parameters sizes are compared.

The numbers belong to 279495c. A change that moves some on purpose records those cases again
(``python -m tests.exactness.record NAME ...``) and says in CHANGELOG.md which moved, and why. Where
there is a model file of such a case (`files_0_1_0`), its numbers stay under ``files``.

What a system is called and how it is run may change, and with it one file: `today`.
"""
