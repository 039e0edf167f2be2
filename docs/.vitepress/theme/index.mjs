import theme from "vitepress/theme";
import "./pictures.css";
import "./tables.css";

// biome-ignore lint/style/noDefaultExport: VitePress takes the theme from there.
export default theme;
