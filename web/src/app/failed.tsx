import { useRouter, type ErrorComponentProps } from "@tanstack/react-router";
import { Link } from "@tanstack/react-router";
import { ProblemNote } from "@/ui/problem-note";
import { Empty } from "@/ui/empty";
import { buttonClasses } from "@/ui/button";

export function Failed({ error, reset }: ErrorComponentProps) {
  const router = useRouter();
  return (
    <div className="mx-auto max-w-2xl p-4">
      <ProblemNote
        error={error}
        onRetry={() => {
          reset();
          void router.invalidate();
        }}
      />
    </div>
  );
}

export function NotFound() {
  return (
    <Empty title="There is no such page">
      <Link to="/" className={buttonClasses()}>
        To the projects
      </Link>
    </Empty>
  );
}
