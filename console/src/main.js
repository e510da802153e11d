// GraphiQL over the gateway that serves this page.

import { createElement } from "react";
import { createRoot } from "react-dom/client";
import { GraphiQL } from "graphiql";
import "graphiql/setup-workers/vite";
import "graphiql/style.css";
import "./page.css";
import { examples } from "./examples.js";
import { fetcher } from "./fetcher.js";

createRoot(document.getElementById("graphiql"))
  .render(createElement(GraphiQL, { fetcher, defaultTabs: examples, defaultEditorToolsVisibility: "variables" }));
