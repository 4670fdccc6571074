// A classic script on purpose: it still runs where modules cannot, so that the page can say what is wrong.
"use strict";

(function () {
  function say(sentence) {
    var text = document.getElementById("overlay-text");
    var bar = document.getElementById("progress");
    // A module that is alive speaks for itself. (Without one, window.dream is the canvas of that id.)
    if (!text || (window.dream && window.dream.ready)) return;
    text.textContent = sentence;
    text.setAttribute("role", "alert");
    if (bar) bar.hidden = true;
  }

  var isFile = location.protocol === "file:";
  window.addEventListener("DOMContentLoaded", function () {
    if (isFile) {
      say("Browsers load this page's networks from a web server only. In the folder of this page run " +
        "“python -m http.server” and open http://localhost:8000.");
    } else if (!("noModule" in document.createElement("script"))) {
      say("This browser is too old for the dream: it needs JavaScript modules and WebAssembly.");
    }
  });
  // A script that is missing or broken: module errors reach the window in the capture phase.
  window.addEventListener("error", function (event) {
    if (isFile) return;
    var source = event.target && event.target.src ? event.target.src : event.filename || "one of the scripts";
    say("The page is incomplete: " + source + " could not be loaded. Export the site again.");
  }, true);
})();
