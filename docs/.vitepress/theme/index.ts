import { useRoute } from "vitepress";
import DefaultTheme from "vitepress/theme-without-fonts";
import { nextTick, onMounted, watch } from "vue";
import "./style.css";

/** A heading of the sidebar is a button, and so is the arrow within it: one control for assistive technology is enough. */
function mergeControls(): void {
  for (const arrow of document.querySelectorAll(".VPSidebarItem .caret")) {
    arrow.removeAttribute("role");
    arrow.removeAttribute("tabindex");
    arrow.removeAttribute("aria-label");
  }
}

export default {
  extends: DefaultTheme,
  setup(): void {
    const route = useRoute();
    onMounted(mergeControls);
    watch(
      () => route.path,
      () => void nextTick(mergeControls),
    );
  },
};
