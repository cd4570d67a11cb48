// Browsers start no web worker on a page that was opened from the disk. There, the search of the
// site runs in a hidden frame instead. Served over HTTP, it uses a real worker.
if (location.protocol === "file:") {
  window.Worker = window.IFrameWorker = class extends EventTarget {
    constructor(url) {
      super();
      this.frame = document.createElement("iframe");
      this.frame.hidden = true;
      document.body.append(this.frame);
      const inner = this.frame.contentWindow;
      window.addEventListener("message", (event) => {
        if (event.source !== inner) return;
        this.dispatchEvent(new MessageEvent("message", { data: event.data }));
        this.onmessage?.(event);
      });
      inner.document.open();
      inner.document.write(`<script>
        postMessage = (message) => parent.postMessage(message, "*");
        importScripts = (...urls) => urls.reduce((before, url) => before.then(() =>
          new Promise((resolve) => {
            const script = document.createElement("script");
            script.src = url;
            script.onload = resolve;
            document.body.append(script);
          })), Promise.resolve());
      </script><body><script src="${url}"></script></body>`);
      inner.document.close();
      // Later than document.open(), which removes all listeners.
      this.ready = new Promise((resolve) => inner.addEventListener("load", resolve));
    }

    postMessage(data) {
      this.ready.then(() =>
        this.frame.contentWindow.dispatchEvent(new MessageEvent("message", { data })));
    }

    terminate() {
      this.frame.remove();
    }
  };
}
