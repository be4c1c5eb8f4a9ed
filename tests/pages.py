"""Pages in a real browser."""

from pathlib import Path

PATIENCE = 120_000  # ms: a loaded machine is no error


def opened(browser, path: Path, width: int) -> tuple:
    """Return the page, and a list of what its console says. Nothing may be fetched."""
    page = browser.new_page(viewport={'width': width, 'height': 900})
    page.set_default_timeout(PATIENCE)
    said = []
    page.on('console', lambda message: said.append(message.text))
    page.on('pageerror', lambda error: said.append(str(error)))
    page.on('request', lambda request: said.append(request.url) if request.url.startswith('http') else None)
    page.goto(path.as_uri(), wait_until='load')
    return page, said
