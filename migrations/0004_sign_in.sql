-- Sign-in of people: sign-ins that are under way, sessions, and the logout tokens of issuers that were used.

CREATE TABLE login (
    state_hash bytea PRIMARY KEY CHECK (octet_length(state_hash) = 32),
    browser_hash bytea NOT NULL CHECK (octet_length(browser_hash) = 32),
    issuer text COLLATE "C" NOT NULL,
    nonce text COLLATE "C" NOT NULL,
    verifier text COLLATE "C" NOT NULL,
    return_to text COLLATE "C" NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE INDEX login_expires_at ON login (expires_at);
COMMENT ON TABLE login IS 'Sign-ins that are under way: people who were sent to an issuer, and have not come back yet. A row is deleted when it is used.';
COMMENT ON COLUMN login.state_hash IS 'The SHA-256 of the parameter state, with which the issuer sends the browser back.';
COMMENT ON COLUMN login.browser_hash IS 'The SHA-256 of the cookie of the browser that has begun. No other browser may finish.';
COMMENT ON COLUMN login.issuer IS 'The configured name of the issuer.';
COMMENT ON COLUMN login.nonce IS 'The nonce that the ID token must have.';
COMMENT ON COLUMN login.verifier IS 'The code verifier of PKCE (RFC 7636).';
COMMENT ON COLUMN login.return_to IS 'The path of the gateway to which the browser returns.';
COMMENT ON COLUMN login.expires_at IS 'The time from which on the sign-in must begin again.';

CREATE TABLE session (
    hash bytea PRIMARY KEY CHECK (octet_length(hash) = 32),
    issuer text COLLATE "C" NOT NULL,
    subject text COLLATE "C" NOT NULL,
    sid text COLLATE "C",
    claims json NOT NULL,
    id_token text COLLATE "C" NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    revoked_at timestamptz
);
CREATE INDEX session_subject ON session (issuer, subject);
CREATE INDEX session_expires_at ON session (expires_at);
COMMENT ON TABLE session IS 'Sessions of people who have signed in. Gateways look at the sessions that they hold in memory again when the version of this table changes.';
COMMENT ON COLUMN session.hash IS 'The SHA-256 of the session''s id, which only the browser''s cookie has.';
COMMENT ON COLUMN session.issuer IS 'The configured name of the issuer at which the person has signed in.';
COMMENT ON COLUMN session.subject IS 'The person, as the issuer names it: the claim sub of the ID token.';
COMMENT ON COLUMN session.sid IS 'The issuer''s own session, or null: the claim sid of the ID token.';
COMMENT ON COLUMN session.claims IS 'The claims of the ID token. The present rules of the issuer decide which rights they give.';
COMMENT ON COLUMN session.id_token IS 'The ID token, which the issuer needs to end its own session. Gateways do not accept it as a token.';
COMMENT ON COLUMN session.created_at IS 'The time at which the person has signed in.';
COMMENT ON COLUMN session.expires_at IS 'The time from which on the person must sign in again.';
COMMENT ON COLUMN session.revoked_at IS 'The time at which the person or the issuer has ended the session, or null.';
INSERT INTO access_change (kind) VALUES ('session');
-- New sessions, and the removal of expired ones, change nothing that gateways hold.
CREATE TRIGGER access_changed AFTER UPDATE ON session FOR EACH ROW EXECUTE FUNCTION access_changed();
CREATE TRIGGER access_deleted AFTER DELETE ON session
    FOR EACH ROW WHEN (OLD.revoked_at IS NULL AND OLD.expires_at > now()) EXECUTE FUNCTION access_changed();
CREATE TRIGGER access_truncated AFTER TRUNCATE ON session
    FOR EACH STATEMENT EXECUTE FUNCTION access_changed();

CREATE TABLE used_logout_token (
    hash bytea PRIMARY KEY CHECK (octet_length(hash) = 32),
    expires_at timestamptz NOT NULL
);
CREATE INDEX used_logout_token_expires_at ON used_logout_token (expires_at);
COMMENT ON TABLE used_logout_token IS 'The logout tokens of issuers that were used, each of which counts only once (OpenID Connect Back-Channel Logout).';
COMMENT ON COLUMN used_logout_token.hash IS 'The SHA-256 of the issuer''s configured name and the claim jti of the token.';
COMMENT ON COLUMN used_logout_token.expires_at IS 'The time from which on the token is refused because of its age, so that the row is not needed.';
