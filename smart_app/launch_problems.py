"""What ``launch`` refuses, shown as every other refusal is."""

from __future__ import annotations

from collections.abc import Callable

from flask import Flask
from werkzeug.wrappers import Response

from launch.errors import BusyError, CookieLostError, LaunchError, LaunchNotFoundError, TooManyLaunchesError


def show_launch_errors(app: Flask, show: Callable[..., Response], nothing: Callable[[], Response]) -> None:
    """Render what ``launch`` refuses, in its own words; a launch that is not this browser's is the constant page."""

    def show_error(error: LaunchError) -> Response:
        if isinstance(error, LaunchNotFoundError):
            return nothing()
        window = error.again if isinstance(error, CookieLostError) else None
        response = show(error.words, error.next_step, error.status, window=window)
        if isinstance(error, BusyError | TooManyLaunchesError):
            response.headers["Retry-After"] = str(error.retry_after_seconds)
        if isinstance(error, BusyError):
            response.headers["Refresh"] = str(error.retry_after_seconds)  # the browser asks again by itself
        return response

    app.register_error_handler(LaunchError, show_error)
