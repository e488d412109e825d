"""Settings that a fit does not use, which is said and not dropped in silence."""

import warnings


class UnusedSettingWarning(UserWarning):
    """A setting was given that this fit does not use."""


def warn_unused(name: str, reason: str) -> None:
    """Warn of a setting that this fit does not use.

    Example:
        >>> with warnings.catch_warnings(record=True) as caught:
        ...     warnings.simplefilter("always")
        ...     warn_unused("temperature", "inference is 'exact'")
        >>> str(caught[0].message)
        "temperature is not used: inference is 'exact'"
    """
    warnings.warn(f"{name} is not used: {reason}", UnusedSettingWarning, stacklevel=4)
