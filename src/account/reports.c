/* reports.c - saved reports: a name, a question, and how the dashboard shows it. */
#include "account/account_internal.h"

#define REPORT_COLUMNS "id, name, description, kind, query, view, etag, created_ms, updated_ms"

static void visit_row(struct db *db, struct db_stmt *stmt, account_report_fn *visit, void *ctx)
{
    struct account_report report = {
        .id = db_bytes(db, stmt, 0),
        .name = db_bytes(db, stmt, 1),
        .description = db_bytes(db, stmt, 2),
        .kind = db_bytes(db, stmt, 3),
        .query = db_bytes(db, stmt, 4),
        .view = db_bytes(db, stmt, 5),
        .etag = db_bytes(db, stmt, 6),
        .created_ms = db_int(db, stmt, 7),
        .updated_ms = db_int(db, stmt, 8),
    };
    visit(ctx, &report);
}

struct err account_reports(struct accounts *accounts, const char *project, account_report_fn *visit,
                           void *ctx)
{
    struct db *db = accounts->db;
    struct db_stmt *stmt;
    mutex_lock(&accounts->db_lock);
    struct err err = db_query(
        db, &stmt, "SELECT " REPORT_COLUMNS " FROM reports WHERE project = ?1 ORDER BY name, id",
        "z", project);
    if (!err.code) {
        bool has_row = false;
        while (err = db_step(db, stmt, &has_row), !err.code && has_row)
            visit_row(db, stmt, visit, ctx);
        db_done(db, stmt);
    }
    mutex_unlock(&accounts->db_lock);
    return err;
}

/* Under db_lock. */
static struct err get_report(struct accounts *accounts, const char *project, struct bytes id,
                             account_report_fn *visit, void *ctx)
{
    struct db *db = accounts->db;
    struct db_stmt *stmt;
    struct err err =
        db_query(db, &stmt, "SELECT " REPORT_COLUMNS " FROM reports WHERE project = ?1 AND id = ?2",
                 "zt", project, id);
    if (err.code)
        return err;
    bool has_row = false;
    err = db_step(db, stmt, &has_row);
    if (!err.code && has_row)
        visit_row(db, stmt, visit, ctx);
    db_done(db, stmt);
    if (!err.code && !has_row)
        return err_new(ERR_MISSING, "account: no such report");
    return err;
}

struct err account_report_get(struct accounts *accounts, const char *project, struct bytes id,
                              account_report_fn *visit, void *ctx)
{
    mutex_lock(&accounts->db_lock);
    struct err err = get_report(accounts, project, id, visit, ctx);
    mutex_unlock(&accounts->db_lock);
    return err;
}

struct report_job {
    const char *project;
    struct bytes id;
    struct bytes if_match;
    const struct account_report *report;
    char new_id[ACCOUNT_ID_SIZE];
};

static struct err check_report(const struct account_report *report)
{
    if (!is_name(report->name))
        return err_new(ERR_INVALID, "account: a report's name");
    if (report->description.len + report->query.len + report->view.len > ACCOUNT_REPORT_MAX ||
        report->kind.len > 32)
        return err_new(ERR_LIMIT, "account: a report is too large");
    return ok();
}

static struct err count_reports(struct accounts *accounts, const char *project, int64_t *count_out)
{
    struct db_stmt *stmt;
    struct err err = db_query(accounts->db, &stmt,
                              "SELECT count(*) FROM reports WHERE project = ?1", "z", project);
    if (err.code)
        return err;
    bool has_row = false;
    err = db_step(accounts->db, stmt, &has_row);
    if (!err.code)
        *count_out = db_int(accounts->db, stmt, 0);
    db_done(accounts->db, stmt);
    return err;
}

static struct err make_report(void *ctx, struct accounts *accounts)
{
    struct report_job *job = ctx;
    char etag[ACCOUNT_ID_SIZE];
    int64_t count = 0;
    struct err err = count_reports(accounts, job->project, &count);
    if (err.code)
        return err;
    if (count >= ACCOUNT_REPORTS_MAX)
        return err_new(ERR_LIMIT, "account: too many reports");
    id_new("e_", etag);
    const struct account_report *report = job->report;
    return db_run(accounts->db,
                  "INSERT INTO reports(id, project, name, description, kind, query, view, etag,"
                  " created_ms, updated_ms) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?9)",
                  "zztttttzi", job->new_id, job->project, report->name, report->description,
                  report->kind, report->query, report->view, etag, clock_now_ms(accounts->clock));
}

struct err account_report_create(struct accounts *accounts, const struct account_actor *actor,
                                 const char *project, const struct account_report *report,
                                 account_report_fn *visit, void *ctx)
{
    struct report_job job = { .project = project, .report = report };
    struct err err = check_report(report);
    if (err.code)
        return err;
    id_new("r_", job.new_id);
    err = account_change(accounts, actor, project, "report.create", bytes_from(job.new_id),
                         make_report, &job);
    if (err.code)
        return err;
    return account_report_get(accounts, project, bytes_from(job.new_id), visit, ctx);
}

struct etag_check {
    struct bytes if_match;
    bool is_same;
};

static void compare_etag(void *ctx, const struct account_report *report)
{
    struct etag_check *check = ctx;
    check->is_same = !check->if_match.len || bytes_equal(check->if_match, report->etag);
}

static struct err expect_etag(struct accounts *accounts, const struct report_job *job)
{
    struct etag_check check = { .if_match = job->if_match };
    struct err err = get_report(accounts, job->project, job->id, compare_etag, &check);
    if (!err.code && !check.is_same)
        return err_new(ERR_EXISTS, "account: the report was changed meanwhile");
    return err;
}

static struct err change_report(void *ctx, struct accounts *accounts)
{
    const struct report_job *job = ctx;
    const struct account_report *report = job->report;
    char etag[ACCOUNT_ID_SIZE];
    struct err err = expect_etag(accounts, job);
    if (err.code)
        return err;
    id_new("e_", etag);
    return db_run(accounts->db,
                  "UPDATE reports SET name = ?3, description = ?4, kind = ?5, query = ?6,"
                  " view = ?7, etag = ?8, updated_ms = ?9 WHERE project = ?1 AND id = ?2",
                  "zttttttzi", job->project, job->id, report->name, report->description,
                  report->kind, report->query, report->view, etag, clock_now_ms(accounts->clock));
}

struct err account_report_update(struct accounts *accounts, const struct account_actor *actor,
                                 const char *project, struct bytes id, struct bytes if_match,
                                 const struct account_report *report, account_report_fn *visit,
                                 void *ctx)
{
    struct report_job job = {
        .project = project, .id = id, .if_match = if_match, .report = report
    };
    struct err err = check_report(report);
    if (!err.code)
        err = account_change(accounts, actor, project, "report.update", id, change_report, &job);
    if (err.code)
        return err;
    return account_report_get(accounts, project, id, visit, ctx);
}

static struct err delete_report(void *ctx, struct accounts *accounts)
{
    const struct report_job *job = ctx;
    struct err err = expect_etag(accounts, job);
    if (err.code)
        return err;
    return db_run(accounts->db, "DELETE FROM reports WHERE project = ?1 AND id = ?2", "zt",
                  job->project, job->id);
}

struct err account_report_delete(struct accounts *accounts, const struct account_actor *actor,
                                 const char *project, struct bytes id, struct bytes if_match)
{
    struct report_job job = { .project = project, .id = id, .if_match = if_match };
    return account_change(accounts, actor, project, "report.delete", id, delete_report, &job);
}
