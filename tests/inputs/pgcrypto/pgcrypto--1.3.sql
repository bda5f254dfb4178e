-- The server of the Python package `pgserver` comes without the contributed modules. Since PostgreSQL 13
-- gen_random_uuid() is in the server itself, so this one function is all that is missed.
CREATE FUNCTION digest(data bytea, type text) RETURNS bytea LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
  SELECT CASE lower(type)
    WHEN 'md5' THEN decode(md5(data), 'hex')
    WHEN 'sha224' THEN sha224(data)
    WHEN 'sha256' THEN sha256(data)
    WHEN 'sha384' THEN sha384(data)
    WHEN 'sha512' THEN sha512(data)
  END
$$;
