/** The documentation site: its pages, in the order in which they are listed, and how a fence of Graphviz becomes a picture. */
import { existsSync, readFileSync } from "node:fs";
import { Graphviz } from "@hpcc-js/wasm-graphviz";
import { defineConfig } from "vitepress";

const graphviz = await Graphviz.load();
const sidebarOfReference = new URL("../reference/typedoc-sidebar.json", import.meta.url);

/** The id that a heading has on the pages of a repository, so that a link to it works there and here. */
function slugify(heading) {
  return heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, "")
    .trim()
    .replaceAll(/\s/g, "-");
}

/** What Graphviz draws, with its colours left to the page: a picture has to be readable in dark mode. */
function picture(source) {
  // Of the fonts whose widths Graphviz knows, this one is nearest to the site's.
  const svg = graphviz.dot(source.replaceAll("sans-serif", "Helvetica")).replace(/^[\s\S]*?(?=<svg)/, "");
  const themed = svg
    .replaceAll('fill="black"', 'fill="currentColor"')
    .replaceAll('stroke="black"', 'stroke="currentColor"')
    .replace(/<polygon fill="white" stroke="none"[^>]*\/>/, "")
    .replaceAll("<text ", '<text fill="currentColor" ')
    // Ids are of one picture, and a page may have several.
    .replaceAll(/ id="[^"]*"/g, "");
  return `<div class="picture">${themed}</div>\n`;
}

/** Their tables need the room of the outline beside the text. */
const WIDE_PAGES = ["comparison.md", "from-python.md"];

const guides = [
  ["Context variables", "context-variables"],
  ["Tasks and cancellation", "tasks"],
  ["Streams", "streams"],
  ["Servers and shutdown", "servers"],
  ["TLS", "tls"],
  ["Frames and codecs", "frames"],
  ["Protocols and transports", "protocols"],
  ["Child processes", "processes"],
  ["Testing", "testing"],
  ["Debugging a hang", "debugging"],
  ["Frameworks and clients", "frameworks"],
  ["AsyncContext", "async-context"],
  ["OpenTelemetry", "opentelemetry"],
  ["In your own library", "libraries"],
  ["Performance, measured", "performance"],
];

// biome-ignore lint/style/noDefaultExport: VitePress takes the settings from there.
export default defineConfig({
  title: "contextvars",
  description: "Python's context variables and asyncio streams for TypeScript",
  cleanUrls: true,
  srcExclude: ["README.md"],
  transformPageData(page) {
    if (WIDE_PAGES.includes(page.relativePath)) {
      page.frontmatter.aside = false;
    }
  },
  head: [["link", { rel: "icon", href: "/favicon.svg" }]],
  markdown: {
    languageAlias: { mjs: "javascript" },
    anchor: { slugify },
    config(md) {
      const fence = md.renderer.rules.fence;
      md.renderer.rules.fence = (tokens, index, ...rest) => {
        const { info, content } = tokens[index];
        return info.trim() === "dot" ? picture(content) : fence(tokens, index, ...rest);
      };
    },
  },
  themeConfig: {
    search: { provider: "local" },
    outline: [2, 3],
    nav: [
      { text: "Start", link: "/start" },
      { text: "Guides", link: "/guides/context-variables" },
      { text: "Reference", link: "/reference/" },
    ],
    sidebar: [
      { text: "Start", link: "/start" },
      { text: "Guides", items: guides.map(([text, name]) => ({ text, link: `/guides/${name}` })) },
      {
        text: "Moving here",
        items: [
          { text: "Coming from Python", link: "/from-python" },
          { text: "Coming from Node", link: "/from-node" },
          { text: "Differences from Python", link: "/differences" },
          { text: "Comparison", link: "/comparison" },
        ],
      },
      { text: "Cookbook", link: "/cookbook" },
      { text: "Errors and their codes", link: "/errors" },
      {
        text: "Reference",
        link: "/reference/",
        collapsed: true,
        items: existsSync(sidebarOfReference) ? JSON.parse(readFileSync(sidebarOfReference, "utf8")) : [],
      },
      {
        text: "How it works",
        items: [
          { text: "Which Context a callback sees", link: "/callbacks" },
          { text: "Runtimes", link: "/runtimes" },
          { text: "Architecture", link: "/architecture" },
          { text: "Changelog", link: "/changelog" },
        ],
      },
    ],
  },
});
