"""The pages that are seen before one is let in: plain HTML, no script."""

from __future__ import annotations

from html import escape

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">{head}
<link rel="icon" href="data:,">
<title>{title} · quantify-sync</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 26rem; margin: 15vh auto;
  padding: 0 1rem; }}
label, input, button {{ display: block; width: 100%; box-sizing: border-box;
  font: inherit; margin-top: .5rem; padding: .5rem; }}
label {{ padding: 0; }}
[role=alert] {{ font-weight: bold; }}
</style></head><body><main><h1>{title}</h1>{body}</main></body></html>
"""
_FORM = """{told}<form method="post" action="/login">
<label for="token">Token</label>
<input id="token" name="token" type="password" required autofocus
  autocomplete="current-password">
<input type="hidden" name="next" value="{then}">
<button>Log in</button></form>
<p>Who runs the server makes one: <code>quantify-sync web token add NAME</code></p>"""


def login_page(then: str, told: str = "") -> str:
    """Write the page that asks for a token.

    Parameters
    ----------
    then
        Path of the page that was asked for.
    told
        What was wrong with the token before.
    """
    alert = f'<p role="alert">{escape(told)}</p>' if told else ""
    body = _FORM.format(told=alert, then=escape(then, quote=True))
    return _PAGE.format(title="Log in", head="", body=body)


def logged_in_page(then: str) -> str:
    """Write the page that goes on to `then` by itself."""
    address = escape(then, quote=True)
    return _PAGE.format(
        title="Logged in",
        head=f'<meta http-equiv="refresh" content="0; url={address}">',
        body=f'<p><a href="{address}">Go on</a></p>',
    )


def refusal_page(title: str, told: str) -> str:
    """Write the page that says why somebody is not let in, or not now."""
    body = f'<p role="alert">{escape(told)}</p>'
    return _PAGE.format(title=escape(title), head="", body=body)
