export function AccountPage({ name }: { name: string }) { return <h1>{name}</h1>; }
