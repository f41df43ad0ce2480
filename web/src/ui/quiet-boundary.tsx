import { Component, type ReactNode } from "react";

interface Props {
  children: ReactNode;
  /** Called when what is inside could not be drawn, as when its program cannot be fetched. */
  onFail?: () => void;
}

/** Leaves out what cannot be drawn, where the page is good without it. */
export class QuietBoundary extends Component<Props, { failed: boolean }> {
  override state = { failed: false };

  static getDerivedStateFromError() {
    return { failed: true };
  }

  override componentDidCatch() {
    this.props.onFail?.();
  }

  override render() {
    return this.state.failed ? null : this.props.children;
  }
}
