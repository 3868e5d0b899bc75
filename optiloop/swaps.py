"""What numeric libraries offer in several ways: calls and arguments that `tune` may swap. Pure, a table only.

None of these always returns the same: `eigh` wants a symmetric matrix, an FFT rounds otherwise. The gate
says whether the answers are still right, the measurement whether it is faster.
"""

from __future__ import annotations

CALLS: tuple[tuple[str, ...], ...] = (
    ("linalg.eig", "linalg.eigh"),
    ("linalg.eigvals", "linalg.eigvalsh"),
    ("signal.convolve", "signal.fftconvolve", "signal.oaconvolve"),
    ("signal.convolve2d", "signal.fftconvolve", "signal.oaconvolve"),
    ("signal.correlate2d", "signal.correlate"),
    ("sparse.csr_matrix", "sparse.csc_matrix"),
    ("optimize.brentq", "optimize.toms748", "optimize.ridder", "optimize.bisect"),
    ("copy.deepcopy", "copy.copy"),
)
"""Functions that take the same arguments, by the end of their dotted names."""

ARGUMENTS: dict[str, tuple[str, ...]] = {
    "solve_ivp.method": ("RK45", "RK23", "DOP853", "LSODA", "Radau", "BDF"),
    "minimize.method": ("BFGS", "L-BFGS-B", "CG", "Powell", "Nelder-Mead", "SLSQP"),
    "least_squares.method": ("trf", "dogbox", "lm"),
    "curve_fit.method": ("lm", "trf", "dogbox"),
    "root.method": ("hybr", "lm", "broyden1", "krylov"),
    "sort.kind": ("quicksort", "stable"),
    "argsort.kind": ("quicksort", "stable"),
    "svds.solver": ("arpack", "lobpcg", "propack"),
    "lstsq.lapack_driver": ("gelsd", "gelsy", "gelss"),
    "svd.lapack_driver": ("gesdd", "gesvd"),
    "eigh.driver": ("evr", "evd", "ev"),
    "KMeans.algorithm": ("lloyd", "elkan"),
    "KMeans.init": ("k-means++", "random"),
    "NearestNeighbors.algorithm": ("auto", "kd_tree", "ball_tree", "brute"),
    "KNeighborsClassifier.algorithm": ("auto", "kd_tree", "ball_tree", "brute"),
    "KNeighborsRegressor.algorithm": ("auto", "kd_tree", "ball_tree", "brute"),
    "PCA.svd_solver": ("auto", "full", "randomized", "arpack"),
    "LogisticRegression.solver": ("lbfgs", "newton-cholesky", "newton-cg", "saga"),
    "Ridge.solver": ("auto", "cholesky", "svd", "lsqr", "sag"),
    "read_csv.engine": ("c", "python", "pyarrow"),
}
"""Strings of keyword arguments, by `function.argument`."""


def alternatives(dotted: str) -> tuple[str, ...]:
    """The functions that a call by this dotted name may be swapped with, itself among them; none mostly."""
    for group in CALLS:
        for end in group:
            head = dotted.removesuffix(end)
            if head != dotted and (head == "" or head.endswith(".")):
                return tuple(head + other for other in group)
    return ()
