import os
import platform

from flask import Flask, render_template

app = Flask(__name__)


@app.get("/")
def home():
    return render_template(
        "home.html",
        greeting=os.environ.get("GREETING", "Hello"),
        version=platform.python_version(),
    )


@app.get("/healthz")
def healthz():
    return "ok"


if __name__ == "__main__":
    app.run(host="0.0.0.0", port=int(os.environ.get("PORT", "3000")))
