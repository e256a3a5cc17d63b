# Answer cibench from R, with nothing but R itself. A script of estimators is
#
#   source(file.path(Sys.getenv("CIBENCH_HELPERS"), "cibench.R"))
#   serve(list("r/ols" = function(problem, options) {
#     fit <- lm(y ~ d, data = problem$data)
#     wald(coef(fit)[["d"]], sqrt(vcov(fit)["d", "d"]), problem$level, fit$df.residual)
#   }))
#
# `problem` holds data (a data frame), roles, targets, level and seed, and by its roles outcome,
# treatment, running (vectors), covariates and instruments (matrices). The generator is seeded from
# the replicate's address before each fit. `options` are those of the suite.

# In an environment of its own: a script's function called `vector` or `c` is none of these.
local({
  PROTOCOL <- 1L
  MARK <- Sys.getenv("CIBENCH_MARK", "cibench: ") # one of this process alone: prints are no answers

  # One answer. With several targets return a list of them, each with its estimand (and horizon,
  # group, contrast or label, as the target has them).
  estimate <- function(value = NULL, se = NULL, low = NULL, high = NULL, df = NULL, p_value = NULL,
                       statistic = NULL, outside = NULL, band_low = NULL, band_high = NULL,
                       draws = NULL, estimand = NULL, horizon = NULL, group = NULL,
                       contrast = NULL, label = NULL) {
    parts <- list(value = value, se = se, low = low, high = high, df = df, p_value = p_value,
                  statistic = statistic, outside = outside, band_low = band_low,
                  band_high = band_high, draws = draws, estimand = estimand, horizon = horizon,
                  group = group, contrast = contrast, label = label)
    structure(parts[!vapply(parts, is.null, TRUE)], class = "cibench_estimate")
  }

  # An estimate with symmetric limits: normal ones, or Student's with df degrees of freedom.
  wald <- function(value, se, level, df = NULL, ...) {
    reach <- se * if (is.null(df)) stats::qnorm((1 + level) / 2) else stats::qt((1 + level) / 2, df)
    estimate(value, se, value - reach, value + reach, df = df, ...)
  }

  diagnosis <- function(passed, p_value = NULL, statistic = NULL) {
    parts <- list(passed = passed, p_value = p_value, statistic = statistic)
    structure(parts[!vapply(parts, is.null, TRUE)], class = "cibench_diagnosis")
  }

  # Say that this data set is not for the method: it has not tried, which is no failure.
  decline <- function(reason) {
    stop(structure(class = c("cibench_declined", "error", "condition"),
                   list(message = reason, call = NULL)))
  }

  serve <- function(methods) {
    input <- file("stdin", "rb")
    home <- getwd()
    .say(list(hello = list(protocol = PROTOCOL, language = "R",
                           version = paste(R.version$major, R.version$minor, sep = "."),
                           estimators = as.list(names(methods)))))
    while (length(line <- readLines(input, n = 1L, warn = FALSE))) {
      request <- .parse(line)
      answer <- switch(request$request,
        fit = .fit(methods, request),
        versions = list(versions = .versions(unlist(request$packages))),
        list(failed = paste0("no request named '", request$request, "'"))
      )
      setwd(home)
      .say(c(list(id = request$id), answer))
    }
  }

  .versions <- function(packages) {
    found <- packages[nzchar(vapply(packages, function(name) system.file(package = name), ""))]
    versions <- lapply(found, function(name) as.character(utils::packageVersion(name)))
    if (length(found)) stats::setNames(versions, found) else structure(list(), names = character())
  }

  .fit <- function(methods, request) {
    warned <- character()
    before <- NULL
    method <- methods[[request$estimator]]
    if (is.null(method)) {
      return(list(failed = paste0("no estimator named '", request$estimator, "'")))
    }
    answer <- tryCatch(
      withCallingHandlers(
        {
          problem <- .problem(request)
          .seed(request$seed)
          before <- get(".Random.seed", envir = globalenv())
          .answer(method(problem, .options(request$options)))
        },
        warning = function(w) {
          if (length(warned) < 100L) {
            warned <<- unique(c(warned, paste0("RWarning: ", conditionMessage(w))))
          }
          invokeRestart("muffleWarning")
        }
      ),
      cibench_declined = function(e) list(declined = conditionMessage(e)),
      error = function(e) list(failed = .failure(e))
    )
    drew <- !is.null(before) && !identical(before, get(".Random.seed", envir = globalenv()))
    if (drew) answer$random <- TRUE
    if (length(warned)) answer$warnings <- as.list(warned)
    answer
  }

  # R's default generators, whichever the fit before has chosen.
  .seed <- function(seed) {
    if (getRversion() >= "3.6.0") {
      set.seed(seed, kind = "default", normal.kind = "default", sample.kind = "default")
    } else {
      set.seed(seed, kind = "default", normal.kind = "default")
    }
  }

  # Lists of numbers, of texts or of truths are vectors.
  .options <- function(options) {
    lapply(options, function(value) {
      plain <- is.list(value) && is.null(names(value)) && length(value) &&
        all(vapply(value, function(each) is.atomic(each) && length(each) == 1L, TRUE))
      if (plain) unlist(value) else value
    })
  }

  .failure <- function(e) {
    call <- conditionCall(e)
    where <- if (is.null(call)) "" else paste0(" (in ", substr(deparse(call)[1], 1, 80), ")")
    paste0("RError: ", conditionMessage(e), where)
  }

  .answer <- function(returned) {
    if (inherits(returned, "cibench_diagnosis")) return(list(diagnosis = unclass(returned)))
    if (inherits(returned, "cibench_estimate")) returned <- list(returned)
    if (!is.list(returned) || !length(returned) ||
          !all(vapply(returned, inherits, TRUE, "cibench_estimate"))) {
      stop("returned ", class(returned)[1], ", not an estimate()", call. = FALSE)
    }
    list(estimates = lapply(unname(returned), unclass))
  }

  # The problem of a request

  .problem <- function(request) {
    kinds <- vapply(request$columns, function(column) column$type, "")
    names <- vapply(request$columns, function(column) column$name, "")
    rows <- request$rows
    numeric <- kinds != "text"
    columns <- vector("list", length(names))
    numbers <- readBin(file.path(request$folder, "numbers.bin"), "double", rows * sum(numeric),
                       size = 8L, endian = "little")
    columns[numeric] <- lapply(seq_len(sum(numeric)), function(place) {
      .typed(numbers[seq.int((place - 1) * rows + 1, length.out = rows)], kinds[numeric][place])
    })
    if (any(!numeric)) {
      texts <- readLines(file.path(request$folder, "texts.txt"), encoding = "UTF-8", warn = FALSE)
      columns[!numeric] <- lapply(seq_len(sum(!numeric)), function(place) {
        .text(texts[seq.int((place - 1) * rows + 1, length.out = rows)])
      })
    }
    data <- structure(stats::setNames(columns, names), class = "data.frame",
                      row.names = .set_row_names(as.integer(rows)))
    roles <- request$roles
    list(
      data = data, roles = roles, targets = request$targets, level = request$level,
      seed = request$seed, outcome = .column(data, roles$outcome),
      treatment = .column(data, roles$treatment), running = .column(data, roles$running),
      covariates = .matrix(data, roles$covariates), instruments = .matrix(data, roles$instruments)
    )
  }

  .column <- function(data, name) if (is.null(name)) NULL else data[[name]]

  .matrix <- function(data, names) {
    if (is.null(names)) NULL else as.matrix(data[unlist(names)])
  }

  .typed <- function(values, kind) {
    if (kind == "logical") return(values != 0)
    if (kind == "integer" && all(abs(values) <= .Machine$integer.max)) return(as.integer(values))
    values
  }

  .text <- function(values) {
    missing <- values == "\\N"
    escaped <- grepl("\\", values, fixed = TRUE) & !missing
    values[escaped] <- vapply(values[escaped], .unescaped, "", USE.NAMES = FALSE)
    values[missing] <- NA_character_
    values
  }

  .unescaped <- function(text) {
    parts <- regmatches(text, gregexpr("\\\\.|[^\\\\]+", text, perl = TRUE))[[1]]
    parts[parts == "\\n"] <- "\n"
    parts[parts == "\\r"] <- "\r"
    parts[parts == "\\\\"] <- "\\"
    paste(parts, collapse = "")
  }

  # JSON

  .say <- function(message) {
    while (sink.number() > 0L) sink()
    writeLines(c("", paste0(MARK, .json(message))), stdout(), useBytes = TRUE)
    flush(stdout())
  }

  .json <- function(value) {
    if (is.null(value)) return("null")
    if (is.list(value)) {
      parts <- vapply(value, .json, "")
      if (is.null(names(value))) return(paste0("[", paste(parts, collapse = ","), "]"))
      keys <- vapply(names(value), .quoted, "")
      return(paste0("{", paste(keys, parts, sep = ":", collapse = ","), "}"))
    }
    if (is.character(value)) parts <- vapply(value, .quoted, "")
    else if (is.logical(value)) parts <- ifelse(is.na(value), "null", tolower(value))
    else parts <- vapply(as.double(value), .number, "")
    if (length(parts) == 1L) parts else paste0("[", paste(parts, collapse = ","), "]")
  }

  .number <- function(value) {
    if (is.nan(value) || is.na(value)) return("\"NaN\"")
    if (is.infinite(value)) return(if (value > 0) "\"Inf\"" else "\"-Inf\"")
    sprintf("%.17g", value)
  }

  .quoted <- function(text) {
    text <- enc2utf8(text)
    text <- gsub("\\", "\\\\", text, fixed = TRUE)
    text <- gsub("\"", "\\\"", text, fixed = TRUE)
    text <- gsub("\n", "\\n", text, fixed = TRUE)
    text <- gsub("[[:cntrl:]]", " ", text)
    paste0("\"", text, "\"")
  }

  .TOKEN <- "\"(?:\\\\.|[^\"\\\\])*\"|[][{}:,]|[^][{}:,\"\\s]+"

  .parse <- function(text) {
    tokens <- regmatches(text, gregexpr(.TOKEN, text, perl = TRUE))[[1]]
    at <- 0L
    read <- function() {
      at <<- at + 1L
      token <- tokens[at]
      first <- substr(token, 1L, 1L)
      if (first == "{") return(members())
      if (first == "[") return(elements())
      if (first == "\"") return(.string(token))
      switch(token, "null" = NULL, "true" = TRUE, "false" = FALSE, "NaN" = NaN, "Infinity" = Inf,
             "-Infinity" = -Inf, as.double(token))
    }
    members <- function() {
      values <- structure(list(), names = character())
      while (tokens[at + 1L] != "}") {
        at <<- at + 1L
        key <- .string(tokens[at])
        at <<- at + 1L # the colon
        values[key] <- list(read())
        if (tokens[at + 1L] == ",") at <<- at + 1L
      }
      at <<- at + 1L
      values
    }
    elements <- function() {
      values <- list()
      while (tokens[at + 1L] != "]") {
        values[length(values) + 1L] <- list(read())
        if (tokens[at + 1L] == ",") at <<- at + 1L
      }
      at <<- at + 1L
      values
    }
    read()
  }

  .string <- function(token) {
    text <- substr(token, 2L, nchar(token) - 1L)
    if (!grepl("\\", text, fixed = TRUE)) return(text)
    parts <- regmatches(text, gregexpr("(?:\\\\u[0-9a-fA-F]{4})+|\\\\.|[^\\\\]+", text,
                                       perl = TRUE))[[1]]
    paste(vapply(parts, .plain, ""), collapse = "")
  }

  .plain <- function(part) {
    if (substr(part, 1L, 1L) != "\\") return(part)
    if (substr(part, 2L, 2L) == "u") {
      units <- strtoi(strsplit(substr(part, 3L, nchar(part)), "\\u", fixed = TRUE)[[1]], 16L)
      high <- which(units >= 0xD800 & units < 0xDC00)
      units[high] <- 0x10000 + (units[high] - 0xD800) * 0x400 + (units[high + 1L] - 0xDC00)
      return(intToUtf8(if (length(high)) units[-(high + 1L)] else units))
    }
    switch(substr(part, 2L, 2L), n = "\n", r = "\r", t = "\t", b = "\b", f = "\f",
           substr(part, 2L, 2L))
  }

  for (name in c("estimate", "wald", "diagnosis", "decline", "serve")) {
    assign(name, get(name), envir = globalenv())
  }
}, envir = new.env(parent = baseenv()))
