"""Takes a picture of a page with Chromium: `python tools/take_picture.py PAGE PICTURE WIDTH HEIGHT`."""

import shutil
import subprocess
import sys
from pathlib import Path


def main() -> None:
    """Render the top of a page in the light look."""
    page, picture, width, height = sys.argv[1:]
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        raise SystemExit("A picture needs Chromium, and none is on PATH. Install it, e.g. apt-get install chromium.")
    options = ["--headless=new", "--no-sandbox", "--hide-scrollbars", "--blink-settings=preferredColorScheme=1"]
    options += [f"--window-size={width},{height}", f"--screenshot={Path(picture).resolve()}"]
    subprocess.run([browser, *options, Path(page).resolve().as_uri()], check=True, capture_output=True)


if __name__ == "__main__":
    main()
