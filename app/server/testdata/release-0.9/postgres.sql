CREATE TYPE public.river_job_state AS ENUM (
    'available',
    'cancelled',
    'completed',
    'discarded',
    'pending',
    'retryable',
    'running',
    'scheduled'
);
CREATE FUNCTION public.river_job_state_in_bitmask(bitmask bit, state public.river_job_state) RETURNS boolean
    LANGUAGE sql IMMUTABLE
    AS $$
    SELECT CASE state
        WHEN 'available' THEN get_bit(bitmask, 7)
        WHEN 'cancelled' THEN get_bit(bitmask, 6)
        WHEN 'completed' THEN get_bit(bitmask, 5)
        WHEN 'discarded' THEN get_bit(bitmask, 4)
        WHEN 'pending'   THEN get_bit(bitmask, 3)
        WHEN 'retryable' THEN get_bit(bitmask, 2)
        WHEN 'running'   THEN get_bit(bitmask, 1)
        WHEN 'scheduled' THEN get_bit(bitmask, 0)
        ELSE 0
    END = 1;
$$;
CREATE TABLE public.credential (
    installation bigint NOT NULL,
    fingerprint text NOT NULL,
    rule text NOT NULL,
    severity text NOT NULL,
    redacted text NOT NULL,
    confidence double precision NOT NULL,
    facts text NOT NULL,
    expires bigint DEFAULT 0 NOT NULL,
    detected bigint NOT NULL,
    first_commit text DEFAULT ''::text NOT NULL,
    first_at bigint DEFAULT 0 NOT NULL,
    public_since bigint DEFAULT 0 NOT NULL,
    state text NOT NULL,
    note text DEFAULT ''::text NOT NULL,
    settings text DEFAULT '{}'::text NOT NULL,
    stale boolean DEFAULT true NOT NULL
);
CREATE TABLE public.installation (
    id bigint NOT NULL,
    account text NOT NULL,
    account_id bigint NOT NULL,
    suspended boolean DEFAULT false NOT NULL,
    gone boolean DEFAULT false NOT NULL,
    next_write bigint DEFAULT 0 NOT NULL,
    teller text DEFAULT ''::text NOT NULL,
    teller_until bigint DEFAULT 0 NOT NULL,
    triaged bigint DEFAULT 0 NOT NULL,
    created bigint NOT NULL,
    ledger_seq bigint DEFAULT 0 NOT NULL,
    ledger_mac text DEFAULT ''::text NOT NULL,
    next_content bigint DEFAULT 0 NOT NULL
);
CREATE TABLE public.keyward_schema (
    name text NOT NULL,
    applied bigint NOT NULL
);
CREATE TABLE public.ledger (
    installation bigint NOT NULL,
    seq bigint NOT NULL,
    happened bigint NOT NULL,
    fingerprint text NOT NULL,
    event text NOT NULL,
    actor text NOT NULL,
    from_state text NOT NULL,
    to_state text NOT NULL,
    detail text NOT NULL,
    mac text NOT NULL,
    due bigint DEFAULT 0 NOT NULL
);
CREATE TABLE public.life (
    installation bigint NOT NULL,
    fingerprint text NOT NULL,
    state text NOT NULL,
    due bigint DEFAULT 0 NOT NULL,
    life text NOT NULL,
    wake bigint DEFAULT 1 NOT NULL,
    look bigint DEFAULT 1 NOT NULL
);
CREATE TABLE public.place (
    installation bigint NOT NULL,
    fingerprint text NOT NULL,
    repository bigint NOT NULL,
    path text NOT NULL,
    line bigint NOT NULL,
    col bigint NOT NULL,
    commit_id text NOT NULL,
    blob text NOT NULL,
    decoded text NOT NULL,
    in_test boolean NOT NULL,
    url text DEFAULT ''::text NOT NULL,
    seen bigint NOT NULL
);
CREATE TABLE public.process (
    id text NOT NULL,
    seen bigint NOT NULL
);
CREATE TABLE public.repository (
    id bigint NOT NULL,
    installation bigint NOT NULL,
    owner text NOT NULL,
    name text NOT NULL,
    public boolean NOT NULL,
    archived boolean DEFAULT false NOT NULL,
    default_branch text DEFAULT ''::text NOT NULL,
    backfill text DEFAULT ''::text NOT NULL,
    backfill_note text DEFAULT ''::text NOT NULL,
    updated bigint NOT NULL
);
CREATE TABLE public.river_job (
    id bigint NOT NULL,
    state public.river_job_state DEFAULT 'available'::public.river_job_state NOT NULL,
    attempt smallint DEFAULT 0 NOT NULL,
    max_attempts smallint DEFAULT 25 NOT NULL,
    attempted_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    finalized_at timestamp with time zone,
    scheduled_at timestamp with time zone DEFAULT now() NOT NULL,
    priority smallint DEFAULT 1 NOT NULL,
    args jsonb NOT NULL,
    attempted_by text[],
    errors jsonb[],
    kind text NOT NULL,
    metadata jsonb DEFAULT '{}'::jsonb NOT NULL,
    queue text DEFAULT 'default'::text NOT NULL,
    tags character varying(255)[] DEFAULT '{}'::character varying[] NOT NULL,
    unique_key bytea,
    unique_states bit(8),
    CONSTRAINT finalized_or_finalized_at_null CHECK ((((finalized_at IS NULL) AND (state <> ALL (ARRAY['cancelled'::public.river_job_state, 'completed'::public.river_job_state, 'discarded'::public.river_job_state]))) OR ((finalized_at IS NOT NULL) AND (state = ANY (ARRAY['cancelled'::public.river_job_state, 'completed'::public.river_job_state, 'discarded'::public.river_job_state]))))),
    CONSTRAINT kind_length CHECK (((char_length(kind) > 0) AND (char_length(kind) < 128))),
    CONSTRAINT max_attempts_is_positive CHECK ((max_attempts > 0)),
    CONSTRAINT priority_in_range CHECK (((priority >= 1) AND (priority <= 4))),
    CONSTRAINT queue_length CHECK (((char_length(queue) > 0) AND (char_length(queue) < 128)))
);
CREATE SEQUENCE public.river_job_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.river_job_id_seq OWNED BY public.river_job.id;
CREATE UNLOGGED TABLE public.river_leader (
    elected_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    leader_id text NOT NULL,
    name text DEFAULT 'default'::text NOT NULL,
    CONSTRAINT leader_id_length CHECK (((char_length(leader_id) > 0) AND (char_length(leader_id) < 128))),
    CONSTRAINT name_length CHECK ((name = 'default'::text))
);
CREATE TABLE public.river_migration (
    line text NOT NULL,
    version bigint NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT line_length CHECK (((char_length(line) > 0) AND (char_length(line) < 128))),
    CONSTRAINT version_gte_1 CHECK ((version >= 1))
);
CREATE TABLE public.river_notification (
    id bigint NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    payload text NOT NULL,
    topic text NOT NULL,
    CONSTRAINT topic_length CHECK (((length(topic) > 0) AND (length(topic) < 128)))
);
CREATE SEQUENCE public.river_notification_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.river_notification_id_seq OWNED BY public.river_notification.id;
CREATE TABLE public.river_queue (
    name text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    metadata jsonb DEFAULT '{}'::jsonb NOT NULL,
    paused_at timestamp with time zone,
    updated_at timestamp with time zone DEFAULT CURRENT_TIMESTAMP NOT NULL
);
CREATE TABLE public.rotation (
    installation bigint NOT NULL,
    fingerprint text NOT NULL,
    repository text NOT NULL,
    number bigint DEFAULT 0 NOT NULL,
    holder text DEFAULT ''::text NOT NULL,
    held_until bigint DEFAULT 0 NOT NULL,
    tries bigint DEFAULT 1 NOT NULL,
    claimed bigint DEFAULT 0 NOT NULL,
    opened bigint DEFAULT 0 NOT NULL,
    due bigint DEFAULT 0 NOT NULL,
    owner text DEFAULT ''::text NOT NULL,
    body text DEFAULT ''::text NOT NULL,
    told bigint DEFAULT 0 NOT NULL,
    said bigint DEFAULT 0 NOT NULL,
    alerted text DEFAULT ''::text NOT NULL
);
CREATE TABLE public.scan (
    id text NOT NULL,
    installation bigint NOT NULL,
    repository bigint NOT NULL,
    source text NOT NULL,
    head text NOT NULL,
    base text NOT NULL,
    pull bigint DEFAULT 0 NOT NULL,
    sender bigint DEFAULT 0 NOT NULL,
    check_run bigint DEFAULT 0 NOT NULL,
    state text NOT NULL,
    result text DEFAULT ''::text NOT NULL,
    round bigint DEFAULT 0 NOT NULL,
    created bigint NOT NULL,
    finished bigint DEFAULT 0 NOT NULL,
    to_default boolean DEFAULT false NOT NULL,
    fork boolean DEFAULT false NOT NULL,
    tag boolean DEFAULT false NOT NULL,
    compared text DEFAULT ''::text NOT NULL
);
CREATE TABLE public.sighting (
    installation bigint NOT NULL,
    fingerprint text NOT NULL,
    repository bigint NOT NULL,
    commit_id text NOT NULL
);
CREATE TABLE public.unseen (
    installation bigint NOT NULL,
    fingerprint text NOT NULL,
    repository bigint NOT NULL
);
ALTER TABLE ONLY public.river_job ALTER COLUMN id SET DEFAULT nextval('public.river_job_id_seq'::regclass);
ALTER TABLE ONLY public.river_notification ALTER COLUMN id SET DEFAULT nextval('public.river_notification_id_seq'::regclass);
INSERT INTO public.credential VALUES (1003, '7f11f1d0bde3ca790f7e40ffc0709f6a83cebe70e6dbafe7938e9009121da7be', 'doppler-scim-token', 'critical', 'dp.scim.…(51)', 0.95, 'null', 0, 1795632924298, 'de80f633c399519fb2595f2d5e07dfd7a0e20126', 1795632924000, 0, 'open', '', '{"FailOn":"","Issues":"","Tracker":"","Public":false,"Default":"","Due":null,"BusinessHours":false,"Approvers":null,"Team":"","Security":"","Owners":""}', false);
INSERT INTO public.credential VALUES (1003, 'a0f9d9191b310c0ea1e31483499d843ac0437dd1fde235fb27bf4014c3c7c20a', 'gitlab-pat', 'critical', 'glpat-…(26)', 0.99, 'null', 0, 1795632925022, '9ceec022ff7930a8abce5aa2e60b9bfe74b3e086', 1795632924000, 0, 'open', '', '{"FailOn":"","Issues":"","Tracker":"","Public":false,"Default":"","Due":null,"BusinessHours":false,"Approvers":null,"Team":"","Security":"","Owners":""}', false);
INSERT INTO public.installation VALUES (1003, 'acme', 1002, false, false, 1795632934791, '', 0, 0, 1795632923783, 3, '213e3646f8140c6f55527abeb031065b47e388eaa8dcfbf3f51aa32c4759d8e4', 1795632964385);
INSERT INTO public.keyward_schema VALUES ('001_init', 1795632923386);
INSERT INTO public.keyward_schema VALUES ('002_scan', 1795632923391);
INSERT INTO public.keyward_schema VALUES ('003_ledger', 1795632923402);
INSERT INTO public.keyward_schema VALUES ('004_watch', 1795632923421);
INSERT INTO public.ledger VALUES (1003, 1, 1795632924342, '7f11f1d0bde3ca790f7e40ffc0709f6a83cebe70e6dbafe7938e9009121da7be', 'found', 'keyward', '', 'open', 'dp.scim.…(51) of rule doppler-scim-token, critical', '94b75ff297f23e1fd7d0543cd19dbefdd2520fa22a531f90d94dceec7d569746', 0);
INSERT INTO public.ledger VALUES (1003, 2, 1795632924412, '7f11f1d0bde3ca790f7e40ffc0709f6a83cebe70e6dbafe7938e9009121da7be', 'ack', 'dana', 'open', 'acknowledged', 'by @dana (answered, comment 1016)', '1920b85c0501dfce1fa88aeb24d708af2253d4a359fd20c0687cdc9859e6afcf', 1795719324298);
INSERT INTO public.ledger VALUES (1003, 3, 1795632926806, 'a0f9d9191b310c0ea1e31483499d843ac0437dd1fde235fb27bf4014c3c7c20a', 'found', 'keyward', '', 'open', 'glpat-…(26) of rule gitlab-pat, critical', '213e3646f8140c6f55527abeb031065b47e388eaa8dcfbf3f51aa32c4759d8e4', 0);
INSERT INTO public.life VALUES (1003, '7f11f1d0bde3ca790f7e40ffc0709f6a83cebe70e6dbafe7938e9009121da7be', 'acknowledged', 1795719324298, '{"State":"acknowledged","Since":"2026-11-25T18:55:24.412433668Z","Severity":"critical","Tier":"T0","Public":false,"Validity":"unknown","Clock":{"By":null,"BusinessHours":false},"Start":"2026-11-25T18:55:24.298Z","Half":false,"Regressions":0,"Reminded":0,"Snoozed":"0001-01-01T00:00:00Z","OldID":"","NewID":"","InPlace":null,"Claimed":"0001-01-01T00:00:00Z","Ended":null,"Removed":null,"Checks":null,"Used":"0001-01-01T00:00:00Z","Watched":"0001-01-01T00:00:00Z","AtHead":null,"Looked":"0001-01-01T00:00:00Z","Answer":"","Waiver":null,"Asked":null,"Order":null,"Reopened":false}', 1795676124298, 1795632924298);
INSERT INTO public.life VALUES (1003, 'a0f9d9191b310c0ea1e31483499d843ac0437dd1fde235fb27bf4014c3c7c20a', 'open', 1795719325022, '{"State":"open","Since":"2026-11-25T18:55:25.022Z","Severity":"critical","Tier":"T0","Public":false,"Validity":"unknown","Clock":{"By":null,"BusinessHours":false},"Start":"2026-11-25T18:55:25.022Z","Half":false,"Regressions":0,"Reminded":0,"Snoozed":"0001-01-01T00:00:00Z","OldID":"","NewID":"","InPlace":null,"Claimed":"0001-01-01T00:00:00Z","Ended":null,"Removed":null,"Checks":null,"Used":"0001-01-01T00:00:00Z","Watched":"0001-01-01T00:00:00Z","AtHead":null,"Looked":"0001-01-01T00:00:00Z","Answer":"","Waiver":null,"Asked":null,"Order":null,"Reopened":false}', 1795676125022, 1795632925022);
INSERT INTO public.place VALUES (1003, '7f11f1d0bde3ca790f7e40ffc0709f6a83cebe70e6dbafe7938e9009121da7be', 1006, 'deploy.env', 1, 14, 'de80f633c399519fb2595f2d5e07dfd7a0e20126', '9bc4c0acae2fea8599cb4412862ed7990fffe80c', '', false, '', 1795632924298);
INSERT INTO public.place VALUES (1003, 'a0f9d9191b310c0ea1e31483499d843ac0437dd1fde235fb27bf4014c3c7c20a', 1006, 'ci.env', 1, 8, '9ceec022ff7930a8abce5aa2e60b9bfe74b3e086', '38a9c07384e5cd5cd44bbe603a4549b3a69768ae', '', false, '', 1795632925022);
INSERT INTO public.repository VALUES (1006, 1003, 'acme', 'widgets', false, false, 'main', '', '', 1795632923788);
INSERT INTO public.repository VALUES (1007, 1003, 'acme', 'rotation', false, false, 'main', '', '', 1795632924407);
INSERT INTO public.river_job VALUES (1, 'completed', 1, 25, '2026-11-25 18:55:23.782723+00', '2026-11-25 18:55:23.779443+00', '2026-11-25 18:55:23.984774+00', '2026-11-25 18:55:23.779443+00', 1, '{"base": "0000000000000000000000000000000000000000", "head": "71007c8bb0200f16c359691f898eac267589f64d", "name": "push", "repo": {"id": 1006, "name": "widgets", "owner": "acme", "default": "main"}, "sender": 1001, "account": "acme", "default": true, "delivery": "afe08c43-8dad-4cb5-85cf-0dbc08959988", "account_id": 1002, "installation": 1003, "sender_login": "dev"}', '{host-2353-0b7bf2671082}', NULL, 'scan', '{}', 'scan_3', '{}', '\xf2672226efc9975de980159bb0141c030f3a742dbd3ec8fccb53a8719a8ceac0', B'11110101');
INSERT INTO public.river_job VALUES (2, 'completed', 1, 25, '2026-11-25 18:55:23.985081+00', '2026-11-25 18:55:23.98329+00', '2026-11-25 18:55:24.009406+00', '2026-11-25 18:55:23.98329+00', 1, '{"installation": 1003}', '{host-2353-0b7bf2671082}', NULL, 'tell', '{}', 'tell', '{}', NULL, NULL);
INSERT INTO public.river_job VALUES (3, 'completed', 1, 25, '2026-11-25 18:55:24.135365+00', '2026-11-25 18:55:24.131224+00', '2026-11-25 18:55:24.317097+00', '2026-11-25 18:55:24.131224+00', 1, '{"base": "71007c8bb0200f16c359691f898eac267589f64d", "head": "de80f633c399519fb2595f2d5e07dfd7a0e20126", "name": "push", "repo": {"id": 1006, "name": "widgets", "owner": "acme", "default": "main"}, "sender": 1001, "account": "acme", "default": true, "delivery": "f6a6a76b-aecd-4b81-b03c-90d7a861e226", "account_id": 1002, "installation": 1003, "sender_login": "dev"}', '{host-2353-0b7bf2671082}', NULL, 'scan', '{}', 'scan_3', '{}', '\x176a3f3fca5639b6a7e58e88925f341e838e40ccd26e479ea3d73eab5ed868a0', B'11110101');
INSERT INTO public.river_job VALUES (4, 'completed', 1, 25, '2026-11-25 18:55:24.312641+00', '2026-11-25 18:55:24.310018+00', '2026-11-25 18:55:24.407011+00', '2026-11-25 18:55:24.310018+00', 1, '{"installation": 1003}', '{host-2353-0b7bf2671082}', NULL, 'tell', '{}', 'tell', '{}', NULL, NULL);
INSERT INTO public.river_job VALUES (5, 'completed', 1, 25, '2026-11-25 18:55:24.40428+00', '2026-11-25 18:55:24.396235+00', '2026-11-25 18:55:24.418993+00', '2026-11-25 18:55:24.396235+00', 2, '{"name": "issue_comment", "repo": {"id": 1007, "name": "rotation", "owner": "acme", "default": "main"}, "action": "created", "number": 1, "sender": 1004, "account": "acme", "comment": 1016, "delivery": "19f427ed-7f04-4c1e-90e8-82a611c7fb24", "account_id": 1002, "installation": 1003, "sender_login": "dana"}', '{host-2353-0b7bf2671082}', NULL, 'text', '{}', 'scan_3', '{}', '\xd85a7ca296def3d8d6be7aca35a3bf0dfbd718ecafafb182648eaba84316f37d', B'11110101');
INSERT INTO public.river_job VALUES (7, 'completed', 1, 25, '2026-11-25 18:55:24.925207+00', '2026-11-25 18:55:24.921761+00', '2026-11-25 18:55:25.029719+00', '2026-11-25 18:55:24.921761+00', 1, '{"base": "de80f633c399519fb2595f2d5e07dfd7a0e20126", "head": "9ceec022ff7930a8abce5aa2e60b9bfe74b3e086", "name": "push", "repo": {"id": 1006, "name": "widgets", "owner": "acme", "default": "main"}, "sender": 1001, "account": "acme", "default": true, "delivery": "bb8ca8a5-655c-4242-b5bf-7587fa380d74", "account_id": 1002, "installation": 1003, "sender_login": "dev"}', '{host-2353-0b7bf2671082}', NULL, 'scan', '{}', 'scan_3', '{}', '\xf8ac67d32c94fedad77664a47129178ded21721a0a05f3319e08ef37d4023caf', B'11110101');
INSERT INTO public.river_job VALUES (8, 'completed', 1, 25, '2026-11-25 18:55:25.030213+00', '2026-11-25 18:55:25.026762+00', '2026-11-25 18:55:25.031084+00', '2026-11-25 18:55:25.026762+00', 1, '{"installation": 1003}', '{host-2353-0b7bf2671082}', NULL, 'tell', '{}', 'tell', '{}', NULL, NULL);
INSERT INTO public.river_job VALUES (9, 'completed', 1, 25, '2026-11-25 18:55:25.560714+00', '2026-11-25 18:55:25.557359+00', '2026-11-25 18:55:25.582613+00', '2026-11-25 18:55:25.556941+00', 2, '{}', '{host-2353-0b7bf2671082}', NULL, 'sweep', '{"periodic": true, "river:periodic_job_id": "sweep"}', 'admin', '{}', NULL, NULL);
INSERT INTO public.river_job VALUES (10, 'completed', 1, 25, '2026-11-25 18:55:25.582543+00', '2026-11-25 18:55:25.581037+00', '2026-11-25 18:55:25.585004+00', '2026-11-25 18:55:25.581037+00', 1, '{"installation": 1003}', '{host-2353-0b7bf2671082}', NULL, 'tell', '{}', 'tell', '{}', NULL, NULL);
INSERT INTO public.river_job VALUES (6, 'completed', 1, 25, '2026-11-25 18:55:24.419162+00', '2026-11-25 18:55:24.415021+00', '2026-11-25 18:55:27.809047+00', '2026-11-25 18:55:24.415021+00', 1, '{"installation": 1003}', '{host-2353-0b7bf2671082}', NULL, 'tell', '{}', 'tell', '{}', NULL, NULL);
INSERT INTO public.river_job VALUES (11, 'completed', 1, 25, '2026-11-25 18:55:27.804688+00', '2026-11-25 18:55:27.80147+00', '2026-11-25 18:55:29.796757+00', '2026-11-25 18:55:27.80147+00', 2, '{"name": "issue_comment", "repo": {"id": 1007, "name": "rotation", "owner": "acme", "default": "main"}, "action": "created", "number": 1, "sender": 1005, "account": "acme", "comment": 1021, "delivery": "d77e2676-daea-407b-b4de-add4beb9a116", "account_id": 1002, "installation": 1003, "sender_login": "sam"}', '{host-2353-0b7bf2671082}', NULL, 'text', '{}', 'scan_3', '{}', '\xbb483194cf56f931c795dc9ea91a41719d84d03642dc3fc800e848cdf5e21edb', B'11110101');
INSERT INTO public.river_job VALUES (12, 'completed', 1, 25, '2026-11-25 18:55:29.796972+00', '2026-11-25 18:55:29.795037+00', '2026-11-25 18:55:29.800926+00', '2026-11-25 18:55:29.795037+00', 1, '{"installation": 1003}', '{host-2353-0b7bf2671082}', NULL, 'tell', '{}', 'tell', '{}', NULL, NULL);
INSERT INTO public.river_migration VALUES ('main', 1, '2026-11-25 18:55:23.422671+00');
INSERT INTO public.river_migration VALUES ('main', 2, '2026-11-25 18:55:23.429457+00');
INSERT INTO public.river_migration VALUES ('main', 3, '2026-11-25 18:55:23.454186+00');
INSERT INTO public.river_migration VALUES ('main', 4, '2026-11-25 18:55:23.456074+00');
INSERT INTO public.river_migration VALUES ('main', 5, '2026-11-25 18:55:23.480995+00');
INSERT INTO public.river_migration VALUES ('main', 6, '2026-11-25 18:55:23.505264+00');
INSERT INTO public.river_migration VALUES ('main', 7, '2026-11-25 18:55:23.555754+00');
INSERT INTO public.river_migration VALUES ('main', 8, '2026-11-25 18:55:23.567299+00');
INSERT INTO public.river_queue VALUES ('scan_2', '2026-11-25 18:55:23.623307+00', '{}', NULL, '2026-11-25 18:55:23.623307+00');
INSERT INTO public.river_queue VALUES ('scan_3', '2026-11-25 18:55:23.636764+00', '{}', NULL, '2026-11-25 18:55:23.636764+00');
INSERT INTO public.river_queue VALUES ('admin', '2026-11-25 18:55:23.64756+00', '{}', NULL, '2026-11-25 18:55:23.64756+00');
INSERT INTO public.river_queue VALUES ('tell', '2026-11-25 18:55:23.653716+00', '{}', NULL, '2026-11-25 18:55:23.653716+00');
INSERT INTO public.river_queue VALUES ('look', '2026-11-25 18:55:23.655643+00', '{}', NULL, '2026-11-25 18:55:23.655643+00');
INSERT INTO public.river_queue VALUES ('backfill', '2026-11-25 18:55:23.657136+00', '{}', NULL, '2026-11-25 18:55:23.657136+00');
INSERT INTO public.river_queue VALUES ('scan_0', '2026-11-25 18:55:23.658606+00', '{}', NULL, '2026-11-25 18:55:23.658606+00');
INSERT INTO public.river_queue VALUES ('scan_1', '2026-11-25 18:55:23.662706+00', '{}', NULL, '2026-11-25 18:55:23.662706+00');
INSERT INTO public.rotation VALUES (1003, '7f11f1d0bde3ca790f7e40ffc0709f6a83cebe70e6dbafe7938e9009121da7be', 'acme/rotation', 1, '', 0, 2, 1795632924349, 1795632924388, 1795719324298, 'dana', '661570039b0f9d374496531d', 1, 2, '');
INSERT INTO public.rotation VALUES (1003, 'a0f9d9191b310c0ea1e31483499d843ac0437dd1fde235fb27bf4014c3c7c20a', 'acme/rotation', 2, '', 0, 1, 1795632926807, 1795632927794, 1795719325022, 'dana', '6d4701bd98c82a648673999b', 1, 3, '');
INSERT INTO public.scan VALUES ('7cbd9bcce26aeb0d246678d8', 1003, 1006, 'push', '71007c8bb0200f16c359691f898eac267589f64d', '0000000000000000000000000000000000000000', 0, 1001, 1009, 'published', '{"Conclusion":"success","Title":"No keys found","Summary":"### Keyward found no keys\n\n- there is nothing to compare with: the whole history of the ref was scanned\n\nscanned 1 blob, 2 bytes in 1 commit, 147 ms\n","Annotations":null,"Keys":null,"Head":"71007c8bb0200f16c359691f898eac267589f64d","Silent":false,"Note":"","Rest":"success","Unscanned":false}', 0, 1795632923790, 1795632923982, true, false, false, 'nothing');
INSERT INTO public.scan VALUES ('8a46bc52248dbd794ae0b0ca', 1003, 1006, 'push', '9ceec022ff7930a8abce5aa2e60b9bfe74b3e086', 'de80f633c399519fb2595f2d5e07dfd7a0e20126', 0, 1001, 1018, 'published', '{"Conclusion":"failure","Title":"1 key found: GitLab Personal / project / group access token","Summary":"### Keyward found 1 key in 1 place\n\n| | Key | Where | Since | What its holder can do |\n|---|---|---|---|---|\n| critical | GitLab Personal / project / group access token\u003cbr\u003e`glpat-…(26)` | [`ci.env:1`](http://127.0.0.1:33197/acme/widgets/blob/9ceec022ff7930a8abce5aa2e60b9bfe74b3e086/ci.env#L1) | 2026-11-25 in commit 9ceec022ff79, still at HEAD | T0: api scope: everything of the user; admin PAT: users, runners, impersonation tokens; create\\_runner scope: mint glrt tokens. |\n\nA key that was pushed has leaked, even if a later commit takes it out again: rotate it.\n\n\u003cdetails\u003e\u003csummary\u003eHow to rotate: GitLab Personal / project / group access token\u003c/summary\u003e\n\n1. POST /api/v4/personal\\_access\\_tokens/self/rotate\n2. Store the returned token\n3. Confirm old is dead\n4. Review audit events\n\n\u003c/details\u003e\n\nscanned 1 blob, 34 bytes in 1 commit, 84 ms\n\n**No key?** Who may write here presses *Not a key* above (two people, if it is critical or high), or writes `keyward:allow` with a reason on its line.\n","Annotations":[{"Path":"ci.env","Line":1,"EndLine":1,"Level":"failure","Title":"GitLab Personal / project / group access token","Message":"glpat-…(26), critical. Its holder can: api scope: everything of the user; admin PAT: users, runners, impersonation tokens; create_runner scope: mint glrt tokens.\nIt has leaked with the push: rotate it, then take it out (keyward fix).\nFirst: POST /api/v4/personal_access_tokens/self/rotate"}],"Keys":["a0f9d9191b310c0ea1e31483499d843ac0437dd1fde235fb27bf4014c3c7c20a"],"Head":"9ceec022ff7930a8abce5aa2e60b9bfe74b3e086","Silent":false,"Note":"","Rest":"success","Unscanned":false}', 0, 1795632924926, 1795632925025, true, false, false, 'de80f633c399519fb2595f2d5e07dfd7a0e20126');
INSERT INTO public.scan VALUES ('0b959248b359f9ee7183bde4', 1003, 1006, 'push', 'de80f633c399519fb2595f2d5e07dfd7a0e20126', '71007c8bb0200f16c359691f898eac267589f64d', 0, 1001, 1013, 'published', '{"Conclusion":"failure","Title":"1 key found: Doppler SCIM token","Summary":"### Keyward found 1 key in 1 place\n\n| | Key | Where | Since | What its holder can do |\n|---|---|---|---|---|\n| critical | Doppler SCIM token\u003cbr\u003e`dp.scim.…(51)` | [`deploy.env:1`](http://127.0.0.1:33197/acme/widgets/blob/de80f633c399519fb2595f2d5e07dfd7a0e20126/deploy.env#L1) | 2026-11-25 in commit de80f633c399, still at HEAD | T0: Create, change and remove users and groups of the workplace; a group can give read access to secrets. |\n\nA key that was pushed has leaked, even if a later commit takes it out again: rotate it.\n\n\u003cdetails\u003e\u003csummary\u003eHow to rotate: Doppler SCIM token\u003c/summary\u003e\n\n1. Create a new SCIM token in the workplace''s settings\n2. Put it into the identity provider and test\n3. Delete the old one\n\n\u003c/details\u003e\n\nscanned 1 blob, 65 bytes in 1 commit, 125 ms\n\n**No key?** Who may write here presses *Not a key* above (two people, if it is critical or high), or writes `keyward:allow` with a reason on its line.\n","Annotations":[{"Path":"deploy.env","Line":1,"EndLine":1,"Level":"failure","Title":"Doppler SCIM token","Message":"dp.scim.…(51), critical. Its holder can: Create, change and remove users and groups of the workplace; a group can give read access to secrets.\nIt has leaked with the push: rotate it, then take it out (keyward fix).\nFirst: Create a new SCIM token in the workplace''s settings"}],"Keys":["7f11f1d0bde3ca790f7e40ffc0709f6a83cebe70e6dbafe7938e9009121da7be"],"Head":"de80f633c399519fb2595f2d5e07dfd7a0e20126","Silent":false,"Note":"","Rest":"success","Unscanned":false}', 0, 1795632924142, 1795632924306, true, false, false, '71007c8bb0200f16c359691f898eac267589f64d');
INSERT INTO public.sighting VALUES (1003, '7f11f1d0bde3ca790f7e40ffc0709f6a83cebe70e6dbafe7938e9009121da7be', 1006, 'de80f633c399519fb2595f2d5e07dfd7a0e20126');
INSERT INTO public.sighting VALUES (1003, 'a0f9d9191b310c0ea1e31483499d843ac0437dd1fde235fb27bf4014c3c7c20a', 1006, '9ceec022ff7930a8abce5aa2e60b9bfe74b3e086');
SELECT pg_catalog.setval('public.river_job_id_seq', 12, true);
SELECT pg_catalog.setval('public.river_notification_id_seq', 1, false);
ALTER TABLE ONLY public.credential
    ADD CONSTRAINT credential_pkey PRIMARY KEY (installation, fingerprint);
ALTER TABLE ONLY public.installation
    ADD CONSTRAINT installation_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.keyward_schema
    ADD CONSTRAINT keyward_schema_pkey PRIMARY KEY (name);
ALTER TABLE ONLY public.ledger
    ADD CONSTRAINT ledger_pkey PRIMARY KEY (installation, seq);
ALTER TABLE ONLY public.life
    ADD CONSTRAINT life_pkey PRIMARY KEY (installation, fingerprint);
ALTER TABLE ONLY public.place
    ADD CONSTRAINT place_pkey PRIMARY KEY (installation, fingerprint, repository, path, line);
ALTER TABLE ONLY public.process
    ADD CONSTRAINT process_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.repository
    ADD CONSTRAINT repository_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.river_job
    ADD CONSTRAINT river_job_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.river_leader
    ADD CONSTRAINT river_leader_pkey PRIMARY KEY (name);
ALTER TABLE ONLY public.river_migration
    ADD CONSTRAINT river_migration_pkey1 PRIMARY KEY (line, version);
ALTER TABLE ONLY public.river_notification
    ADD CONSTRAINT river_notification_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.river_queue
    ADD CONSTRAINT river_queue_pkey PRIMARY KEY (name);
ALTER TABLE ONLY public.rotation
    ADD CONSTRAINT rotation_pkey PRIMARY KEY (installation, fingerprint);
ALTER TABLE ONLY public.scan
    ADD CONSTRAINT scan_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.sighting
    ADD CONSTRAINT sighting_pkey PRIMARY KEY (installation, fingerprint, repository, commit_id);
ALTER TABLE ONLY public.unseen
    ADD CONSTRAINT unseen_pkey PRIMARY KEY (installation, fingerprint, repository);
CREATE INDEX ledger_key ON public.ledger USING btree (installation, fingerprint);
CREATE INDEX life_look ON public.life USING btree (look);
CREATE INDEX life_state ON public.life USING btree (installation, state);
CREATE INDEX life_wake ON public.life USING btree (wake);
CREATE INDEX place_repository ON public.place USING btree (repository);
CREATE INDEX repository_installation ON public.repository USING btree (installation);
CREATE INDEX river_job_args_index ON public.river_job USING gin (args);
CREATE INDEX river_job_kind ON public.river_job USING btree (kind);
CREATE INDEX river_job_metadata_index ON public.river_job USING gin (metadata);
CREATE INDEX river_job_prioritized_fetching_index ON public.river_job USING btree (state, queue, priority, scheduled_at, id);
CREATE INDEX river_job_state_and_finalized_at_index ON public.river_job USING btree (state, finalized_at) WHERE (finalized_at IS NOT NULL);
CREATE UNIQUE INDEX river_job_unique_idx ON public.river_job USING btree (unique_key) WHERE ((unique_key IS NOT NULL) AND (unique_states IS NOT NULL) AND public.river_job_state_in_bitmask(unique_states, state));
CREATE INDEX river_notification_created_at_idx ON public.river_notification USING btree (created_at);
CREATE INDEX river_notification_topic_id_idx ON public.river_notification USING btree (topic, id);
CREATE INDEX scan_check ON public.scan USING btree (check_run);
CREATE INDEX scan_created ON public.scan USING btree (created);
CREATE INDEX scan_head ON public.scan USING btree (repository, head);
CREATE INDEX sighting_repository ON public.sighting USING btree (repository);
