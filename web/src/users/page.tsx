import { useQuery } from "@tanstack/react-query";
import { EllipsisVertical, Plus } from "lucide-react";
import { useState } from "react";
import type { User } from "@/api/types";
import { useMay } from "@/session/permission";
import { sessionQuery } from "@/session/session";
import { Ago } from "@/ui/ago";
import { Tag } from "@/ui/badge";
import { Button, buttonClasses } from "@/ui/button";
import { Card } from "@/ui/card";
import { Listing } from "@/ui/listing";
import { Loaded } from "@/ui/loading";
import { Menu, MenuItem } from "@/ui/menu";
import { Page } from "@/ui/page";
import { Cell } from "@/ui/table";
import { AddUser } from "./add-user";
import { ChangeRole, RemoveUser, SetPassword } from "./dialogs";
import { usersQuery } from "./queries";

type Asked = { what: "role" | "password" | "remove"; user: User };

export default function UsersPage() {
  const query = useQuery(usersQuery);
  const me = useQuery(sessionQuery).data?.user.id;
  const may = useMay("admin");
  const [adding, setAdding] = useState(false);
  const [asked, setAsked] = useState<Asked>();
  const close = () => setAsked(undefined);
  return (
    <Page
      title="Users"
      about="Who may log in, and what they may do."
      actions={
        may && (
          <Button look="primary" onClick={() => setAdding(true)}>
            <Plus aria-hidden /> Add a user
          </Button>
        )
      }
    >
      <Loaded query={query}>
        {(users) => (
          <Card>
            <Listing
              what="users"
              columns={["User", "Role", "Added", ""]}
              items={users}
              text={({ email, role }) => `${email} ${role}`}
              row={(user) => (
                <Row
                  key={user.id}
                  user={user}
                  own={user.id === me}
                  onAsk={(what) => setAsked({ what, user })}
                />
              )}
            />
          </Card>
        )}
      </Loaded>
      {adding && <AddUser onClose={() => setAdding(false)} />}
      {asked?.what === "role" && <ChangeRole user={asked.user} onClose={close} />}
      {asked?.what === "password" && <SetPassword user={asked.user} onClose={close} />}
      {asked?.what === "remove" && <RemoveUser user={asked.user} onClose={close} />}
    </Page>
  );
}

interface RowProps {
  user: User;
  /** Whether it is who looks at the page. */
  own: boolean;
  onAsk: (what: Asked["what"]) => void;
}

function Row({ user, own, onAsk }: RowProps) {
  return (
    <tr>
      <Cell>
        <span className="flex items-center gap-2 font-medium">
          {user.email} {own && <Tag>you</Tag>}
        </span>
      </Cell>
      <Cell className="capitalize">{user.role}</Cell>
      <Cell className="text-muted">
        <Ago at={user.created_at} />
      </Cell>
      <Cell className="text-right">
        <Menu
          button={
            <button
              type="button"
              className={buttonClasses("quiet")}
              aria-label={`What to do with ${user.email}`}
            >
              <EllipsisVertical aria-hidden />
            </button>
          }
        >
          <MenuItem onSelect={() => onAsk("role")}>Change the role</MenuItem>
          <MenuItem onSelect={() => onAsk("password")}>Set a new password</MenuItem>
          <MenuItem danger onSelect={() => onAsk("remove")}>
            Remove
          </MenuItem>
        </Menu>
      </Cell>
    </tr>
  );
}
