# Least squares and two-stage least squares as R's users fit them: lm with the errors of sandwich,
# ivreg of AER, lm_robust of estimatr.
source(file.path(Sys.getenv("CIBENCH_HELPERS"), "cibench.R"))

columns <- function(names) sprintf("`%s`", unlist(names))

by_roles <- function(problem) {
  roles <- problem$roles
  reformulate(columns(c(roles$treatment, roles$covariates)), as.name(roles$outcome))
}

answer <- function(problem, fit, errors) {
  place <- 2L # the treatment comes first after the constant
  wald(coef(fit)[[place]], sqrt(errors[place, place]), problem$level, fit$df.residual)
}

least_squares <- function(problem, options) {
  fit <- lm(by_roles(problem), problem$data)
  answer(problem, fit, sandwich::vcovHC(fit, type = options$errors))
}

two_stage <- function(problem, options) {
  roles <- problem$roles
  parts <- c(outcome = columns(roles$outcome),
             regressors = paste(columns(c(roles$treatment, roles$covariates)), collapse = " + "),
             instruments = paste(columns(c(roles$instruments, roles$covariates)), collapse = " + "))
  formula <- as.formula(sprintf("%s ~ %s | %s", parts[1], parts[2], parts[3]))
  fit <- AER::ivreg(formula, data = problem$data)
  answer(problem, fit, vcov(fit))
}

robust <- function(problem, options) {
  fit <- estimatr::lm_robust(by_roles(problem), problem$data, se_type = options$errors,
                             alpha = 1 - problem$level)
  part <- function(name) fit[[name]][[2L]]
  estimate(part("coefficients"), part("std.error"), part("conf.low"), part("conf.high"),
           df = part("df"), p_value = part("p.value"))
}

serve(list("r/lm" = least_squares, "r/ivreg" = two_stage, "r/lm-robust" = robust))
